create or replace function wait_for_readers() returns void
language plpgsql set search_path from current
as $$
declare
    lists oid[] := array['top_n', 'similar_lists', 'popular_lists', 'item_records', 'history_lists']::regclass[]::oid[];
    readers text[] := array(
        select distinct virtualtransaction from pg_locks where locktype = 'relation' and relation = any(lists) and pid <> pg_backend_pid()
    );
    give_up timestamptz := clock_timestamp() + interval '1 second';
begin
    while clock_timestamp() < give_up and exists (
        select from pg_locks where locktype = 'relation' and relation = any(lists) and virtualtransaction = any(readers)
    ) loop
        perform pg_sleep(0.005);
    end loop;
end
$$;
comment on function wait_for_readers is 'Wait until those who read now are through, a second at most: a plan made before a batch was attached finds none of its lists, so it must not meet the pointer to it';
revoke all on function wait_for_readers from public;
