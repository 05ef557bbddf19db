"""A room as PostgreSQL has it: its events, its current state, and what the reference makes of the one by resolving the other."""
import json

import reference
from pdu import Pdu


class StoredRoom:
    """Of `stack`, which answers queries by `rows`."""

    def __init__(self, stack, room_id, version):
        self.stack = stack
        self.room_id = room_id
        self.version = version
        self.is_here = f"room_id = convert_to('{room_id}', 'UTF8')"

    def extremities(self):
        return [row[0] for row in self.stack.rows(f"select encode(unnest(extremities), 'escape') from rooms where {self.is_here}")]

    def memberships(self):
        """How many members have each membership."""
        counted = self.stack.rows(f"select membership, count(*) from memberships where {self.is_here} group by 1")
        return {membership: int(count) for membership, count in counted}

    def current_state(self):
        """{(type, state key): event id}"""
        rows = self.stack.rows("select encode(type, 'escape'), encode(state_key, 'escape'), encode(event_id, 'escape') "
                               f"from current_state where {self.is_here} union all "
                               "select 'm.room.member', encode(user_id, 'escape'), encode(event_id, 'escape') "
                               f"from memberships where {self.is_here}")
        return {(kind, key): event_id for kind, key, event_id in rows}

    def resolved_state(self):
        """The same, by the reference: from the create event on, each event added to the resolution over its prev events; then the
        resolution over the forward extremities. Also how many resolutions that took."""
        # In one statement: a dummy event may be stored between two.
        rows = self.stack.rows("select convert_from(e.pdu, 'UTF8'), (e.event_id = any (o.extremities))::integer "
                               "from rooms o join events e using (room_id) "
                               f"where o.{self.is_here} order by e.stream_ordering")
        stored = [Pdu(self.version, json.loads(text)) for text, _ in rows]
        extremities = [event.id for event, (_, is_extremity) in zip(stored, rows) if is_extremity == "1"]
        events = {event.id: event for event in stored}
        after, resolutions = {}, 0

        def over(event_ids):
            nonlocal resolutions
            states = {tuple(sorted(after[event_id].items())): after[event_id] for event_id in event_ids}
            if len(states) <= 1:
                return dict(next(iter(states.values()), {}))
            resolutions += 1
            ids = reference.resolve(self.version, list(states.values()), stored, self.room_id)
            return {events[event_id].key: event_id for event_id in ids}

        for event in stored:
            state = over(event.event.prev_event_ids())
            if event.key is not None:
                state[event.key] = event.id
            after[event.id] = state
        return over(extremities), resolutions
