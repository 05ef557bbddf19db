-- The members of one server in a room: whether it may see an event is asked for it as a whole. The part after the first ':' of a user id.
create index memberships_by_server on memberships (room_id, (substring(user_id from position(':'::bytea in user_id) + 1)));
