create or replace function publish_batch(batch text, pinned_champion text, forced boolean, why text) returns boolean
language plpgsql security definer set search_path from current
as $$
declare
    new batch_records;
    live text;
    in_charge text;
begin
    if exists (select from batch_records where batch_id = batch and published_at is null) then
        perform wait_for_readers();
    end if;
    perform take_turn();
    if not is_to_be_published(batch, pinned_champion, forced) then
        return false;
    end if;
    select * into strict new from batch_records where batch_id = batch;
    if not new.attached then
        raise exception 'batch % is not attached', batch using errcode = 'RJ065';
    end if;
    select batch_id into live from live_batch where slot = 'live';
    select model_version into in_charge from champion_model where slot = 'champion';

    update batch_records set published_at = coalesce(published_at, clock_timestamp()), rolled_back_at = null where batch_id = batch;
    -- not `insert ... on conflict`, which runs the triggers of both: the rules would be written out twice
    update live_batch set batch_id = batch where slot = 'live';
    if not found then
        insert into live_batch (slot, batch_id) values ('live', batch);
    end if;
    if new.champion_version is not null then
        insert into champion_model (slot, model_version) values ('champion', new.champion_version)
        on conflict (slot) do update set model_version = excluded.model_version, since = now()
        where champion_model.model_version <> excluded.model_version;
    elsif forced and pinned_champion is null then -- it was begun again without the champion, whose file is lost
        delete from champion_model where slot = 'champion';
    end if;
    insert into publish_records (action, batch_id, previous_batch_id, model_version, previous_model_version, forced, reason)
    values ('publish', batch, live, (select model_version from champion_model where slot = 'champion'), in_charge, forced, why);
    return true;
end
$$;
comment on function publish_batch is 'Move the pointer and the champion to an attached batch, in this transaction; false when it is live already';
revoke all on function publish_batch from public;
