-- What a server signed when its keys were had, for passing on as a notary; '' where it was not kept.
alter table server_keys add column document bytea not null default '';
