"""One load through several gateways, an equal part of it by each at the same time."""
import concurrent.futures
import threading

from leave_load import Load, Sender


class ReachedBy:
    """A stack as it is reached through one of its gateways."""

    def __init__(self, stack, url):
        self._stack = stack
        self.reach = stack.reach | {"federation_url": url}

    def __getattr__(self, name):
        return getattr(self._stack, name)


class SendersAtOnce:
    """As a Sender, with `in_flight` at each gateway of the stack."""

    def __init__(self, stack, remote, directory, in_flight):
        self.in_flight = in_flight
        self.senders = []
        for number, url in enumerate(stack.reach["federation_urls"], 1):
            files = directory / f"by-gateway-{number}"
            files.mkdir(exist_ok=True)
            self.senders.append(Sender(ReachedBy(stack, url), remote, files, in_flight))

    def take_templates(self, members):
        return self.senders[0].take_templates(members)

    def measured(self, warming, members, at_go, per_second=0):
        """`at_go()` is called once, when all are ready; `per_second` is of each."""
        count = len(self.senders)
        all_ready = threading.Barrier(count, action=at_go)

        def part(number):
            try:
                return self.senders[number].measured(warming[number::count], members[number::count], all_ready.wait, per_second)
            except BaseException:
                all_ready.abort()
                raise

        with concurrent.futures.ThreadPoolExecutor(count) as pool:
            loads = list(pool.map(part, range(count)))
        return Load([answer for load in loads for answer in load.answers], max(load.seconds for load in loads),
                    sum(load.client_cpu_seconds for load in loads))
