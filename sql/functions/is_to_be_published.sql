create or replace function is_to_be_published(batch text, pinned_champion text, forced boolean) returns boolean
language plpgsql set search_path from current
as $$
declare
    new batch_records;
    live batch_records;
    in_charge text;
begin
    select * into strict new from batch_records where batch_id = batch;
    select b.* into live from batch_records as b join live_batch as l using (batch_id) where l.slot = 'live';
    select model_version into in_charge from champion_model where slot = 'champion';

    if live.batch_id = batch then
        return false;
    end if;
    if new.pruned_at is not null then
        raise exception 'batch % was pruned: its lists are gone', batch using errcode = 'RJ065';
    end if;
    if not forced then
        if new.rolled_back_at is not null then
            raise exception 'batch % was rolled back at %: publishing it again needs --force REASON', batch, new.rolled_back_at using errcode = 'RJ075';
        end if;
        if (live.as_of, live.attempt) > (new.as_of, new.attempt) then
            raise exception 'batch % is older than the live batch %: publishing it needs --force REASON', batch, live.batch_id using errcode = 'RJ075';
        end if;
        if in_charge is distinct from pinned_champion then
            raise exception 'the champion is % now, this night was held against %: run the night again', coalesce(in_charge, 'none'), coalesce(pinned_champion, 'none')
                using errcode = 'RJ075';
        end if;
    end if;
    return true;
end
$$;
comment on function is_to_be_published is 'Whether a batch may become live: false when it is already; an error when that is refused';
revoke all on function is_to_be_published from public;
