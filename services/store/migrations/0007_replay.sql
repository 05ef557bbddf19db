-- Going through a room's events in the order of their time: decisions since some day, and what was stored after an event. What replay
-- needs of a decision itself is in its verdict, of an event and of a refusal alike (postern.matrix.v1.RecordedInputs), so that
-- recording it is one row as before.
create index events_by_time on events (room_id, stored_at);
