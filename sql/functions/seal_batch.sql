create or replace function seal_batch(batch text) returns void
-- Statistics of arrays of 100 ids take most of the time: 7,500 rows tell as much as 30,000.
language plpgsql security definer set search_path from current set default_statistics_target = 25
as $$
declare
    part text;
    keys jsonb := '{"top_n": "user_id", "similar_lists": "item_id", "popular_lists": "segment", "item_records": "item_id", "history_lists": "user_id"}';
    list_table text;
    key text;
begin
    if exists (select from batch_records where batch_id = batch and attached) then
        return;
    end if;
    for list_table, key in select * from jsonb_each_text(keys) loop
        part := partition_name(list_table, batch);
        if not exists (select from pg_constraint where conrelid = to_regclass(quote_ident(part)) and contype = 'p') then
            execute format('alter table %I add primary key (%I)', part, key);
        end if;
        execute format('analyze %I', part);
        execute format('revoke insert on %I from recjobs_loader', part);
    end loop;
end
$$;
comment on function seal_batch is 'Add the primary keys to a loaded batch, gather its statistics, and let nobody write to it any more';
revoke all on function seal_batch from public;
