"""What PostgreSQL wrote to its log, and how often it made sure that it is on the disk, between two moments."""
import time

# A connection reports what it counted when it has nothing to do, at most once in a second; one that stays idle does so after ten.
REPORT_SECONDS = 1.0
IDLE_REPORT_SECONDS = 10.0
ATTEMPTS = 3
CLOCK = "select extract(epoch from clock_timestamp())"


class WriteAheadLog:
    """Of `stack`. `read_some()` makes the stack read on many connections and write nothing: so they report."""

    def __init__(self, stack, read_some):
        self.stack = stack
        self.read_some = read_some

    def bytes(self):
        """All that were ever written, up to this moment."""
        return int(self.stack.rows("select pg_current_wal_insert_lsn() - '0/0'::pg_lsn")[0][0])

    def syncs(self, since=0.0):
        """All that there ever were. Takes a second or two until every connection has reported, at the worst ten. `since`: a moment of the
        database's clock from which on nobody has counted anything but what is wanted; see `now`."""
        asked = self.now()
        for _ in range(ATTEMPTS):
            time.sleep(REPORT_SECONDS + 0.05)
            self.read_some()
            if not self._silent(asked, since):
                break
        else:
            time.sleep(max(0.0, IDLE_REPORT_SECONDS + 0.5 - (self.now() - asked)))
        return int(self.stack.rows("select wal_sync from pg_stat_wal")[0][0])

    def now(self):
        return float(self.stack.rows(CLOCK)[0][0])

    def _silent(self, asked, since):
        """How many connections did something after `since`, and nothing late enough to have reported it."""
        since = max(since, asked - IDLE_REPORT_SECONDS - 1)
        return int(self.stack.rows("select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid() "
                                   f"and state_change between to_timestamp({since}) and to_timestamp({asked + REPORT_SECONDS})")[0][0])
