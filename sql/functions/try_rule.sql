create or replace function try_rule(rule jsonb, among integer) returns jsonb
language plpgsql security definer set search_path from current
as $$
declare
    -- what changes with every rule and every move of the pointer: each statement below sees what is committed by then
    state text := (select concat_ws(' ', w.version, (select max(p.log_id) from publish_records as p)) from rule_state as w);
    n_users bigint := (select b.n_users from batch_records as b join live_batch as l using (batch_id) where l.slot = 'live');
    share bigint := greatest(1, n_users / greatest(among, 1));
    hashes bigint[];
    seen_before jsonb;
    result jsonb;
begin
    select array_agg(hash_array(s.item_ids) order by s.user_id) into hashes
    from served_lists as s where hashtextextended(s.user_id, 7) % share = 0;
    select jsonb_object_agg(x.item_id, x.n) into seen_before
    from (
        select i.item_id, count(*) as n
        from served_lists as s cross join lateral unnest(s.item_ids[1:10]) as i (item_id)
        where hashtextextended(s.user_id, 7) % share = 0
        group by i.item_id
    ) as x;
    begin
        perform add_rule(rule || jsonb_build_object('starts_at', now(), 'author', coalesce(rule ->> 'author', session_user)));
        with lists as materialized (
            select s.user_id, s.item_ids, s.top_n_served from served_lists as s where hashtextextended(s.user_id, 7) % share = 0
        ),
        counted as (
            select
                count(*) as n_lists, count(*) filter (where hash_array(l.item_ids) <> hashes[l.place]) as n_touched,
                count(*) filter (where cardinality(l.item_ids) < l.top_n_served) as n_short
            from (select *, row_number() over (order by user_id) as place from lists) as l
        ),
        moved as (
            select coalesce(a.item_id, b.item_id) as item_id, coalesce(b.n, 0) as before, coalesce(a.n, 0) as after
            from (select i.item_id, count(*) as n from lists as l cross join lateral unnest(l.item_ids[1:10]) as i (item_id) group by 1) as a
            full join (select key as item_id, value::bigint as n from jsonb_each_text(seen_before)) as b on b.item_id = a.item_id
            where coalesce(b.n, 0) <> coalesce(a.n, 0)
        )
        select jsonb_build_object(
            'lists', c.n_lists, 'of', n_users, 'touched', c.n_touched, 'short', c.n_short,
            'winners', (select coalesce(jsonb_agg(to_jsonb(w)), '[]') from (select * from moved where after > before order by after - before desc, item_id limit 10) as w),
            'losers', (select coalesce(jsonb_agg(to_jsonb(w)), '[]') from (select * from moved where after < before order by after - before, item_id limit 10) as w)
        )
        into result
        from counted as c;
        raise exception 'as if nothing had been' using errcode = 'RJ099';
    exception when sqlstate 'RJ099' then
        null;
    end;
    if state <> (select concat_ws(' ', w.version, (select max(p.log_id) from publish_records as p)) from rule_state as w) then
        raise exception 'the live batch or a rule of % changed meanwhile: try again', current_schema() using errcode = 'RJ076';
    end if;
    return result;
end
$$;
comment on function try_rule is 'What a rule would do if it were in force now: how many served lists it touches, how many fall short, and whose places among the first ten it gives to whom; looked at in about `among` lists. Changes nothing';
revoke all on function try_rule from public;
