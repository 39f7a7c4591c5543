create or replace function partition_name(list_table text, batch text) returns text
language sql immutable strict
as $$ select list_table || '_' || lower(replace(batch, '-', '_')) $$;
comment on function partition_name is 'The name of a list table''s partition for a batch';
revoke all on function partition_name from public;
