"""Holds the answers of a load, one by one, against what PostgreSQL has."""
import json

MEMBERS = "select encode(room_id, 'escape'), encode(user_id, 'escape'), membership, encode(event_id, 'escape') from memberships"
EVENTS = ("select encode(room_id, 'escape'), encode(event_id, 'escape'), outcome, convert_from(pdu, 'UTF8') from events "
          "where type = 'm.room.member'")
OUTBOX = ("select encode(o.room_id, 'escape'), encode(o.event_id, 'escape') from outbox o join events e using (room_id, event_id) "
          "where e.type = 'm.room.member'")
REFUSALS = "select encode(room_id, 'escape'), encode(event_id, 'escape') from refusals"


class Held:
    """What is stored of some rooms."""

    def __init__(self, stack, rooms):
        def of_rooms(query):
            return [row for row in stack.rows(query) if row[0] in rooms]

        self.members = {(room, user): (membership, event) for room, user, membership, event in of_rooms(MEMBERS)}
        self.events = {(room, event): (outcome, json.loads(pdu)) for room, event, outcome, pdu in of_rooms(EVENTS)}
        self.outbox = [(room, event) for room, event in of_rooms(OUTBOX)]
        self.refusals = {(room, event) for room, event in of_rooms(REFUSALS)}

    def leaves(self):
        return {key for key, (_, event) in self.events.items() if event["content"]["membership"] == "leave"}


def disagreements(before, after, answers, server_name, in_doubt=False):
    """Everything in which `after` differs from what was `before` and the answers together; a leave must be signed by its
    user's server and by `server_name`. `in_doubt`: where the way to a store was cut, a leave that was not answered 200 may be stored all
    the same, but wholly."""
    wrong = []
    rows_of = {}
    for key in after.outbox:
        rows_of[key] = rows_of.get(key, 0) + 1
    left = {(answer.room, answer.user): answer.event_id for answer in answers if answer.status == 200}
    for answer in answers:
        key = (answer.room, answer.event_id)
        stored_unsaid = in_doubt and answer.status != 200 and key in after.events
        if stored_unsaid:
            left[(answer.room, answer.user)] = answer.event_id
        if answer.status == 200 or stored_unsaid:
            trouble = _trouble_of_stored(after.events.get(key), answer, server_name)
            if trouble is None and rows_of.get(key, 0) != 1:
                trouble = f"{rows_of.get(key, 0)} outbox rows"
        else:
            kept = key in after.events or key in rows_of or key in after.refusals
            trouble = "something of it is stored" if kept else None
        if trouble is not None:
            wrong.append(f"{answer.status} for {answer.user} in {answer.room}, event {answer.event_id}: {trouble}")
    for member, was in before.members.items():
        expected = ("leave", left[member]) if member in left else was
        if after.members.get(member) != expected:
            wrong.append(f"{member[1]} in {member[0]} has {after.members.get(member)} where {expected} was expected")
    new_leaves, new_rows = len(after.leaves()) - len(before.leaves()), len(after.outbox) - len(before.outbox)
    if (new_leaves, new_rows) != (len(left), len(left)):
        wrong.append(f"{len(left)} were answered 200, or are stored unsaid, but {new_leaves} leaves and {new_rows} outbox rows are new")
    return wrong


def _trouble_of_stored(stored, answer, server_name):
    if stored is None:
        return "no such event"
    outcome, event = stored
    if outcome != "1":
        return f"stored with outcome {outcome}"
    if event["sender"] != answer.user or event["state_key"] != answer.user or event["content"]["membership"] != "leave":
        return "the event is another one"
    signed = {server for server, keys in event["signatures"].items() if any(keys.values())}
    return None if signed == {answer.user.partition(":")[2], server_name} else f"signed by {sorted(signed)}"
