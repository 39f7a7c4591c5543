-- As a history of undo: a publish adds to it, and so does going forward again; going back takes away what lies above.
create or replace function earlier_live_batches() returns text[]
language plpgsql stable set search_path from current
as $$
declare
    move record;
    history text[] := '{}';
    place integer;
begin
    for move in select p.action, p.batch_id from publish_records as p where p.action in ('publish', 'roll_back') order by p.log_id loop
        place := null;
        if move.action = 'roll_back' then
            select max(o.place) into place from unnest(array_positions(history, move.batch_id)) as o (place);
        end if;
        history := case when place is null then history || move.batch_id else history[:place] end;
    end loop;
    return array(
        select b.batch_id
        from unnest(history) with ordinality as h (batch_id, place)
        join batch_records as b on b.batch_id = h.batch_id
        where b.published_at is not null and b.pruned_at is null and b.rolled_back_at is null
            and b.batch_id is distinct from (select l.batch_id from live_batch as l where l.slot = 'live')
        group by b.batch_id
        order by max(h.place) desc
    );
end
$$;
comment on function earlier_live_batches is 'The batches to go back to, the one that was live last first, by the publish log: kept, and not rolled back';
revoke all on function earlier_live_batches from public;
