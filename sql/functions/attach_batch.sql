-- Only a batch that was loaded to its end may become known to readers: attaching one is refused until seal_batch has
-- added the primary keys. So not even a defect in the publish step, or a hand-written call, can show half a batch.
create or replace function attach_batch(batch text, pinned_champion text, forced boolean) returns void
language plpgsql security definer set search_path from current
as $$
declare
    list_table text;
    part text;
begin
    perform take_turn();
    if not is_to_be_published(batch, pinned_champion, forced) or (select attached from batch_records where batch_id = batch) then
        return;
    end if;
    foreach list_table in array array['top_n', 'similar_lists', 'popular_lists', 'item_records', 'history_lists'] loop
        part := partition_name(list_table, batch);
        if not exists (select from pg_constraint where conrelid = to_regclass(quote_ident(part)) and contype = 'p') then
            raise exception 'batch % is not sealed: its table % may be incomplete', batch, part using errcode = 'RJ065';
        end if;
        execute format('alter table %I attach partition %I for values in (%L)', list_table, part, batch);
    end loop;
    update batch_records set attached = true where batch_id = batch;
end
$$;
comment on function attach_batch is 'Let readers'' plans know the tables of a sealed batch that is to be published; to be committed before publish_batch';
revoke all on function attach_batch from public;
