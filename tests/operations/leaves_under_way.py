"""A load of leaves that goes on while something is done to the stack, and what it says afterwards."""
import collections
import threading
import time

from answers_held import Held, disagreements
from leave_load import Sender

IN_FLIGHT = 64
USERS_OF_A_ROOM = 20


class LeavesUnderWay:
    """Leaves with their templates, `a_second` of them for about `seconds`, begun at once. `answered` are (time.monotonic(), status) as they
    come."""

    def __init__(self, running, remote, directory, a_second, seconds, name="going-on"):
        self.running = running
        self.answered = []
        self.load, self.trouble = None, None
        members = running.seed(remote, a_second * seconds // USERS_OF_A_ROOM, USERS_OF_A_ROOM, name)
        self.rooms = {room for room, _ in members}
        self.before = Held(running, self.rooms)
        sender = Sender(running, remote, directory, IN_FLIGHT)
        self.thread = threading.Thread(target=self._send, args=(sender, members, a_second))
        self.begun = threading.Event()
        self.thread.start()
        self.begun.wait()

    def _send(self, sender, members, a_second):
        try:
            self.load = sender.measured([], members, self.begun.set, a_second, after_answer=self._note)
        except BaseException as trouble:  # pylint: disable=broad-except
            self.trouble = trouble
        finally:
            self.begun.set()

    def _note(self, answer):
        self.answered.append((time.monotonic(), answer.status))

    def await_answers(self, count):
        while len(self.answered) < count and self.going_on():
            time.sleep(0.02)

    def going_on(self):
        return self.thread.is_alive()

    def end(self, in_doubt=False):
        """Waits for the last answer. {status: how many}, and what PostgreSQL says against the answers (`in_doubt`: as disagreements has it)."""
        self.thread.join()
        if self.trouble is not None:
            raise self.trouble
        codes = collections.Counter(self.load.by_status())
        wrong = disagreements(self.before, Held(self.running, self.rooms), self.load.answers, self.running.reach["server_name"], in_doubt)
        print(f"{len(self.load.answers)} requests in {self.load.seconds:.1f} s; answers: "
              f"{', '.join(f'{count}×{code}' for code, count in sorted(codes.items()))}; "
              f"ms 50 / 99 % / most: {' / '.join(f'{self.load.milliseconds(share):.0f}' for share in (0.5, 0.99, 1))}; "
              f"lost = {len(wrong)}", flush=True)
        for answer in [one for one in self.load.answers if one.status != 200][:5]:
            print(f"  {answer.status} {answer.said}", flush=True)
        return codes, wrong
