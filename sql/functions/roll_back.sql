create or replace function roll_back(to_batch text, why text) returns text
language plpgsql security definer set search_path from current
as $$
declare
    target batch_records;
    live batch_records;
    in_charge text;
    earlier text[];
begin
    perform take_turn();
    select b.* into live from batch_records as b join live_batch as l using (batch_id) where l.slot = 'live';
    if live.batch_id is null then
        raise exception 'nothing is live in %: there is nothing to roll back', current_schema() using errcode = 'RJ065';
    end if;
    earlier := earlier_live_batches();
    if to_batch is null then
        select * into target from batch_records where batch_id = earlier[1];
        if target.batch_id is null then
            raise exception 'there is no earlier batch than % to roll back to', live.batch_id using errcode = 'RJ065';
        end if;
    else
        select * into target from batch_records where batch_id = to_batch;
        if target.published_at is null or target.pruned_at is not null then
            raise exception 'batch % is not among the published batches that are kept', to_batch using errcode = 'RJ065';
        end if;
    end if;
    if target.batch_id = live.batch_id then
        return target.batch_id;
    end if;
    select model_version into in_charge from champion_model where slot = 'champion';

    update live_batch set batch_id = target.batch_id where slot = 'live';
    update batch_records set rolled_back_at = clock_timestamp()
    where batch_id = live.batch_id and (target.batch_id = any(earlier) or (as_of, attempt) > (target.as_of, target.attempt));
    update batch_records set rolled_back_at = null where batch_id = target.batch_id;
    if target.champion_version is null then
        delete from champion_model where slot = 'champion';
    else
        insert into champion_model (slot, model_version) values ('champion', target.champion_version)
        on conflict (slot) do update set model_version = excluded.model_version, since = now()
        where champion_model.model_version <> excluded.model_version;
    end if;
    insert into publish_records (action, batch_id, previous_batch_id, model_version, previous_model_version, reason)
    values ('roll_back', target.batch_id, live.batch_id, target.champion_version, in_charge, why);
    return target.batch_id;
end
$$;
comment on function roll_back is 'Move the pointer to an earlier batch (null: the one that was live before, by the publish log) and the champion with it; returns what is live now';
revoke all on function roll_back from public;
