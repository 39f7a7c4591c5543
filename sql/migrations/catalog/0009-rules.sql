-- Rules over finished lists: what a shop decides by day, in force in the next answer. A list is stored deeper than it is
-- served, so that what a rule takes out is filled up; nothing is computed anew.

alter table top_n
    add column segment text collate "C",
    add column reasons text[] collate "C",
    add column because integer[];
alter table history_lists add column seen integer[];
alter table item_records add column item_idx integer;
comment on column top_n.segment is 'The user''s segment; null: none';
comment on column top_n.reasons is 'Items of the user''s history that are a reason for something in the list, at most 1023';
comment on column top_n.because is 'For each item up to three places in reasons, counted from 1, strongest first: p1 | p2 << 10 | p3 << 20, 0 for none';
comment on column history_lists.seen is 'Numbers (item_records.item_idx) of all items that are kept out of the user''s list; null: none are';
comment on column item_records.item_idx is 'The item''s number in the batch';

create table rule_records (
    rule_id bigint generated always as identity primary key,
    kind text not null check (kind in ('block', 'expire', 'out_of_stock', 'pin', 'boost', 'cap')),
    item_id text collate "C" check (octet_length(item_id) between 1 and 256),
    category text collate "C" check (octet_length(category) between 1 and 1024),
    segment text collate "C" check (octet_length(segment) between 1 and 1024),
    place integer check (place between 1 and 1000),
    factor double precision check (factor > 0 and factor <= 1000),
    at_most integer check (at_most between 0 and 1000),
    starts_at timestamptz not null default now(),
    ends_at timestamptz,
    author text not null default session_user check (octet_length(author) between 1 and 256),
    note text not null default '' check (octet_length(note) <= 4000),
    created_at timestamptz not null default now(),
    removed_at timestamptz,
    removed_by text,
    constraint rule_names_an_item_or_a_category check (
        case kind when 'cap' then item_id is null when 'pin' then item_id is not null and category is null
        else num_nonnulls(item_id, category) = 1 end
    ),
    constraint rule_has_what_its_kind_needs check (
        (kind = 'pin') = (place is not null) and (kind = 'boost') = (factor is not null) and (kind = 'cap') = (at_most is not null)
    ),
    constraint rule_ends_after_it_starts check (ends_at > starts_at),
    constraint rule_removed_by_somebody check ((removed_at is null) = (removed_by is null))
);
comment on table rule_records is 'A row is one rule over finished lists, also one that was removed';

-- A rule on a category is written out for the live batch's items, so that a request looks up items and nothing else.
create table rule_items (
    item_id text collate "C" not null,
    rule_id bigint not null references rule_records on delete cascade,
    category text collate "C" not null default '',
    kind text not null,
    segment text collate "C",
    place integer,
    factor double precision,
    at_most integer,
    starts_at timestamptz not null,
    ends_at timestamptz not null,
    primary key (item_id, rule_id, category)
);
create index on rule_items (rule_id);
create index on rule_items (segment) where kind = 'pin';
comment on table rule_items is 'A row is one item that a rule is about; made of rule_records and the live batch''s items';

create table rule_state (
    slot text primary key check (slot = 'rules'),
    any_written boolean not null
);
insert into rule_state values ('rules', false);
comment on table rule_state is 'The one row says whether rule_items has rows at all: read by every request, where a look into the table itself would pass all its dead rows';

create function refresh_rule_items(changed bigint[]) returns void
language plpgsql security definer set search_path from current
as $$
begin
    -- One at a time: each sees what those before it made of the rules and of the pointer. Readers do not wait for this.
    lock table rule_items in share row exclusive mode;
    delete from rule_items where changed is null or rule_id = any(changed);
    insert into rule_items
    select i.item_id, r.rule_id, i.category, r.kind, r.segment, r.place, r.factor, r.at_most, r.starts_at, coalesce(r.ends_at, 'infinity')
    from rule_records as r
    cross join lateral (
        select r.item_id, '' as category where r.item_id is not null
        union all
        select o.item_id, c.category
        from item_records as o
        cross join lateral (select distinct unnest(o.categories)) as c (category)
        where r.item_id is null and o.batch_id = (select l.batch_id from live_batch as l where l.slot = 'live')
            and (r.category is null or c.category = r.category)
    ) as i
    where r.removed_at is null and coalesce(r.ends_at, 'infinity') > now() and (changed is null or r.rule_id = any(changed));
    update rule_state set any_written = exists (select from rule_items) where any_written <> exists (select from rule_items);
    analyze rule_items;
end
$$;
comment on function refresh_rule_items is 'Write out rules (null: all) for the live batch''s items';

create function follow_rules() returns trigger
language plpgsql security definer set search_path from current
as $$
begin
    perform refresh_rule_items(array(select rule_id from changed));
    return null;
end
$$;
comment on function follow_rules is 'Write out the rules that were added or changed';
create trigger follow_new_rules after insert on rule_records
referencing new table as changed for each statement execute function follow_rules();
create trigger follow_changed_rules after update on rule_records
referencing new table as changed for each statement execute function follow_rules();

create function follow_pointer() returns trigger
language plpgsql security definer set search_path from current
as $$
begin
    if exists (select from rule_records where removed_at is null) then
        perform refresh_rule_items(null);
    end if;
    return null;
end
$$;
comment on function follow_pointer is 'Write out all rules for the items of the batch that becomes live, in the transaction that moves the pointer';
create trigger follow_pointer after insert or update on live_batch for each statement execute function follow_pointer();

create function apply_rules(
    inout item_ids text[], inout scores real[], inout sources text[], inout because integer[],
    whose text, in_segment text, n integer, closed boolean
)
language plpgsql stable security definer set search_path from current
as $$
declare
    live text;
    outside text[];  -- what is pinned and stands not in the list
    n_met integer;
    taken_out bigint[];  -- places in the list, counted from 1
    moved text[];  -- what is pinned or boosted
    has_caps boolean;
    over_caps text[];
    put_in text[];
    put_at bigint[];  -- where each stood in the list; null: nowhere
    put_source text[];
    place integer[];
    kept_before integer[];  -- how many of the rest stand before each
    kept_out integer[];
    filled boolean := closed;
begin
    select array_agg(distinct r.item_id) into outside
    from rule_items as r
    where r.kind = 'pin' and not closed and (r.segment is null or r.segment = in_segment) and r.starts_at <= now() and r.ends_at > now()
        and r.item_id <> all(apply_rules.item_ids);
    if outside is not null then
        select l.batch_id into live from live_batch as l where l.slot = 'live';
        if whose is not null then
            select h.seen into kept_out from history_lists as h where h.batch_id = live and h.user_id = whose;
        end if;
        select array_agg(o.item_id) into outside
        from unnest(outside) as o (item_id)
        join item_records as i on i.batch_id = live and i.item_id = o.item_id
        where i.available and (kept_out is null or i.item_idx is null or i.item_idx <> all(kept_out));
    end if;
    loop
        select
            count(*), array_agg(distinct e.at) filter (where r.kind in ('block', 'expire', 'out_of_stock')),
            array_agg(distinct e.item_id) filter (where r.kind in ('pin', 'boost')), coalesce(bool_or(r.kind = 'cap'), false)
        into n_met, taken_out, moved, has_caps
        from unnest(apply_rules.item_ids || outside) with ordinality as e (item_id, at)
        join rule_items as r on r.item_id = e.item_id
        where (r.segment is null or r.segment = in_segment) and r.starts_at <= now() and r.ends_at > now();
        if n_met = 0 then
            item_ids := item_ids[1:n];
            scores := scores[1:n];
            sources := sources[1:n];
            because := because[1:n];
            return;
        end if;

        if moved is not null then
            select
                array_agg(m.item_id order by m.place, m.source = 'boosted', m.at, m.item_id),
                array_agg(m.at order by m.place, m.source = 'boosted', m.at, m.item_id),
                array_agg(m.source order by m.place, m.source = 'boosted', m.at, m.item_id),
                array_agg(m.place order by m.place, m.source = 'boosted', m.at, m.item_id)
            into put_in, put_at, put_source, place
            from (
                select
                    o.item_id, o.at, case when bool_or(r.kind = 'pin') then 'pinned' else 'boosted' end as source,
                    coalesce(min(r.place), ceil(o.at / max(r.factor)))::integer as place
                from (select d.item_id, array_position(apply_rules.item_ids, d.item_id) as at from unnest(moved) as d (item_id)) as o
                join rule_items as r on r.item_id = o.item_id
                where (r.segment is null or r.segment = in_segment) and r.starts_at <= now() and r.ends_at > now()
                group by o.item_id, o.at
                having not bool_or(r.kind in ('block', 'expire', 'out_of_stock'))
            ) as m;
        end if;

        over_caps := null;
        if has_caps then
            select array_agg(distinct c.item_id) into over_caps
            from (
                select e.item_id, r.at_most, row_number() over (partition by r.rule_id, r.category order by e.place, e.pinned desc, e.at) as nth
                from (
                    select l.item_id, coalesce(p.place, l.at) as place, p.source is not distinct from 'pinned' as pinned, l.at
                    from unnest(apply_rules.item_ids) with ordinality as l (item_id, at)
                    left join unnest(put_in, put_source, place) as p (item_id, source, place) on p.item_id = l.item_id
                    where l.at <> all(coalesce(taken_out, '{}'))
                    union all
                    select p.item_id, p.place, true, p.i - 1000000
                    from unnest(put_in, put_at, place) with ordinality as p (item_id, at, place, i)
                    where p.at is null
                ) as e
                join rule_items as r on r.item_id = e.item_id and r.kind = 'cap'
                where (r.segment is null or r.segment = in_segment) and r.starts_at <= now() and r.ends_at > now()
            ) as c
            where c.nth > c.at_most;
            if over_caps is not null then
                taken_out := taken_out || array(
                    select e.at from unnest(apply_rules.item_ids) with ordinality as e (item_id, at) where e.item_id = any(over_caps)
                );
            end if;
        end if;
        exit when filled or cardinality(item_ids)
            - (select count(*) from unnest(taken_out) as t (at) where t.at <= cardinality(apply_rules.item_ids)) >= n;

        -- Too little is left: go on with what is popular, eligible, and not kept out of this user's list.
        filled := true;
        if live is null then
            select l.batch_id into live from live_batch as l where l.slot = 'live';
            if whose is not null then
                select h.seen into kept_out from history_lists as h where h.batch_id = live and h.user_id = whose;
            end if;
        end if;
        select
            apply_rules.item_ids || array_agg(f.item_id order by f.at),
            apply_rules.scores || array_agg(least(f.score, apply_rules.scores[cardinality(apply_rules.item_ids)]) order by f.at),
            apply_rules.sources || array_agg('popular'::text order by f.at),
            apply_rules.because || array_agg(0 order by f.at)
        into item_ids, scores, sources, because
        from (
            select l.item_ids, l.scores
            from popular_lists as l
            where l.batch_id = live and l.segment in ('segment:' || in_segment, 'all')
            order by l.segment = 'all'
            limit 1
        ) as p
        cross join lateral unnest(p.item_ids, p.scores) with ordinality as f (item_id, score, at)
        join item_records as i on i.batch_id = live and i.item_id = f.item_id
        where f.item_id <> all(apply_rules.item_ids) and i.available
            and (kept_out is null or i.item_idx is null or i.item_idx <> all(kept_out));
        outside := array(select o.item_id from unnest(outside) as o (item_id) where o.item_id <> all(apply_rules.item_ids));
    end loop;

    if over_caps is not null then
        select array_agg(p.item_id order by p.i), array_agg(p.at order by p.i), array_agg(p.source order by p.i), array_agg(p.place order by p.i)
        into put_in, put_at, put_source, place
        from unnest(put_in, put_at, put_source, place) with ordinality as p (item_id, at, source, place, i)
        where p.item_id <> all(over_caps);
    end if;
    -- each has its place, or the next one that no other has; the rest stands in the places that are left
    for i in 1..coalesce(cardinality(put_in), 0) loop
        place[i] := greatest(place[i], coalesce(place[i - 1], 0) + 1);
        kept_before[i] := place[i] - i;
    end loop;
    taken_out := taken_out || array_remove(put_at, null);

    if moved is null then  -- nothing to put in: half the time of what follows, which would say the same
        select
            coalesce(array_agg(k.item_id), '{}'), coalesce(array_agg(k.score), '{}'), coalesce(array_agg(k.source), '{}'),
            coalesce(array_agg(k.because), '{}')
        into item_ids, scores, sources, because
        from (
            select e.item_id, e.score, e.source, e.because
            from unnest(apply_rules.item_ids, apply_rules.scores, apply_rules.sources, apply_rules.because)
                with ordinality as e (item_id, score, source, because, at)
            where e.at <> all(coalesce(taken_out, '{}'))
            limit n
        ) as k;
        return;
    end if;

    select
        coalesce(array_agg(f.item_id order by f.place), '{}'), coalesce(array_agg(f.score order by f.place), '{}'),
        coalesce(array_agg(f.source order by f.place), '{}'), coalesce(array_agg(f.because order by f.place), '{}')
    into item_ids, scores, sources, because
    from (
        select k.item_id, k.score, k.source, k.because, k.j + coalesce(width_bucket(k.j - 1, kept_before), 0) as place
        from (
            select e.item_id, e.score, e.source, e.because, row_number() over () as j
            from unnest(apply_rules.item_ids, apply_rules.scores, apply_rules.sources, apply_rules.because)
                with ordinality as e (item_id, score, source, because, at)
            where e.at <> all(coalesce(taken_out, '{}'))
            limit n
        ) as k
        union all
        select p.item_id, (1.0 / p.place)::real, p.source, apply_rules.because[p.at], p.place
        from unnest(put_in, put_source, put_at, place) as p (item_id, source, at, place)
        order by place
        limit n
    ) as f;
end
$$;
comment on function apply_rules is 'A finished list by the rules in force, its first n items: without what is blocked, capped and boosted, pins in their places, filled from what is popular and unseen. closed: nothing may come in from outside';

drop function recommend(text, integer);
drop view recommendations, served_lists, popular_items;

create view served_lists as
select
    t.user_id, a.item_ids, a.scores, a.sources, t.reasons, a.because, t.batch_id, b.computed_at, b.model_version,
    case when t.n_model > 0 then t.source when t.n_category > 0 then 'category' else 'popular' end as source,
    b.top_n_served, t.segment
from top_n as t
join batch_records as b on b.batch_id = t.batch_id
cross join lateral (
    select
        array_fill(t.source, array[t.n_model::integer])
        || array_fill('category'::text, array[t.n_category::integer])
        || array_fill('popular'::text, array[cardinality(t.item_ids) - t.n_model - t.n_category]) as sources
) as s
cross join lateral (
    select
        t.item_ids[1:b.top_n_served] as item_ids, t.scores[1:b.top_n_served] as scores,
        s.sources[1:b.top_n_served] as sources, t.because[1:b.top_n_served] as because
    where not (select w.any_written from rule_state as w where w.slot = 'rules')
    union all
    select r.item_ids, r.scores, r.sources, r.because
    from apply_rules(t.item_ids, t.scores, s.sources, t.because, t.user_id, t.segment, b.top_n_served, false) as r
    where (select w.any_written from rule_state as w where w.slot = 'rules')
) as a
where t.batch_id = (select l.batch_id from live_batch as l where l.slot = 'live');
comment on view served_lists is 'A row is one user''s served list, by the rules in force; what the web app reads';
comment on column served_lists.sources is 'Where each item comes from: als, foldin, category or popular; pinned or boosted where a rule placed it, its score is then 1/rank';
comment on column served_lists.reasons is 'Items of the user''s history that are a reason for something in the list';
comment on column served_lists.because is 'For each item up to three places in reasons, counted from 1, strongest first: p1 | p2 << 10 | p3 << 20, 0 for none';

create view recommendations as
select
    s.user_id, r.rank::integer as rank, r.item_id, r.score, r.source,
    array_remove(array[s.reasons[r.because & 1023], s.reasons[(r.because >> 10) & 1023], s.reasons[r.because >> 20]], null) as because,
    s.batch_id
from served_lists as s
cross join lateral unnest(s.item_ids, s.scores, s.sources, s.because) with ordinality as r (item_id, score, source, because, rank);
comment on view recommendations is 'A row is one served item of one user';
comment on column recommendations.because is 'Up to three items of the user''s history that speak for it most';

create view popular_items as
select p.segment, r.rank::integer as rank, r.item_id, r.score, p.batch_id, r.source
from popular_lists as p
cross join lateral (
    select p.item_ids, p.scores, array_fill('popular'::text, array[cardinality(p.item_ids)]) as sources
    where not (select w.any_written from rule_state as w where w.slot = 'rules')
    union all
    select o.item_ids, o.scores, o.sources
    from apply_rules(
        p.item_ids, p.scores, array_fill('popular'::text, array[cardinality(p.item_ids)]), null, null,
        case when p.segment like 'segment:%' then substr(p.segment, 9) end, cardinality(p.item_ids), p.segment like 'category:%'
    ) as o
    where (select w.any_written from rule_state as w where w.slot = 'rules')
) as a
cross join lateral unnest(a.item_ids, a.scores, a.sources) with ordinality as r (item_id, score, source, rank)
where p.batch_id = (select l.batch_id from live_batch as l where l.slot = 'live');
comment on view popular_items is 'A row is one popular item of a segment: `all`, `category:<name>`, or `segment:<name>` of the users'' own; by the rules in force';

create or replace view similar_items as
select s.item_id, row_number() over (partition by s.item_id order by r.rank)::integer as rank, r.similar_item_id, r.score, s.batch_id
from similar_lists as s
cross join lateral unnest(s.item_ids, s.scores) with ordinality as r (similar_item_id, score, rank)
where s.batch_id = (select l.batch_id from live_batch as l where l.slot = 'live')
    and not exists (
        select from rule_items as b
        where b.item_id = r.similar_item_id and b.kind in ('block', 'expire', 'out_of_stock')
            and b.segment is null and b.starts_at <= now() and b.ends_at > now()
    );
comment on view similar_items is 'A row is one item that resembles another, by the live batch''s model; without what is blocked for everybody';

create function recommend(user_id text, n integer default 20)
returns table (rank integer, item_id text, score real, source text, batch_id text)
language sql stable set search_path from current
as $$
    select r.rank, r.item_id, r.score, r.source, r.batch_id
    from recommendations as r
    where r.user_id = recommend.user_id and r.rank <= recommend.n
    union all
    select p.rank, p.item_id, p.score, p.source, p.batch_id
    from popular_items as p
    where p.segment = 'all'
        and not exists (select from served_lists as s where s.user_id = recommend.user_id)
        and p.rank <= least(recommend.n, (select b.top_n_served from batches as b where b.is_live))
    order by 1
$$;
comment on function recommend is 'A user''s list, or the popular one for a user the batch does not know: what the HTTP API answers, item for item';

create view rules as
select
    r.rule_id, r.kind, r.item_id, r.category, r.segment, r.place, r.factor, r.at_most, r.starts_at, r.ends_at, r.author,
    r.note, r.created_at, r.removed_at, r.removed_by,
    r.removed_at is null and r.starts_at <= now() and coalesce(r.ends_at, 'infinity') > now() as in_force
from rule_records as r;
comment on view rules is 'A row is one rule over finished lists. Editors insert rows, and set ends_at, note, removed_at and removed_by';
comment on column rules.kind is 'block, expire, out_of_stock: not shown (expire: from starts_at on); pin: shown at place; boost: the place is divided by factor; cap: at most at_most items of the category, or of each category, in a served list';
comment on column rules.segment is 'Only for users of this segment; null: for everybody';
comment on column rules.removed_at is 'When the rule was undone; restore_rule() puts it back';

create function add_rule(rule jsonb) returns bigint
language plpgsql security definer set search_path from current
as $$
declare
    new rule_records;
    broken text;
    unknown text := (
        select string_agg(k, ', ') from jsonb_object_keys(rule) as k
        where k not in ('kind', 'item_id', 'category', 'segment', 'place', 'factor', 'at_most', 'starts_at', 'ends_at', 'author', 'note')
    );
begin
    if unknown is not null then
        raise exception 'a rule has no %', unknown using errcode = 'RJ064';
    end if;
    new := jsonb_populate_record(null::rule_records, rule);
    insert into rule_records (kind, item_id, category, segment, place, factor, at_most, starts_at, ends_at, author, note)
    values (
        new.kind, new.item_id, new.category, new.segment, new.place, new.factor, new.at_most, coalesce(new.starts_at, now()),
        new.ends_at, coalesce(new.author, session_user), coalesce(new.note, '')
    )
    returning rule_id into new.rule_id;
    return new.rule_id;
exception
    when check_violation or not_null_violation or invalid_text_representation or invalid_datetime_format or datetime_field_overflow
        or numeric_value_out_of_range then
        get stacked diagnostics broken = constraint_name;
        raise exception using errcode = 'RJ064', message = case broken
            when 'rule_names_an_item_or_a_category' then 'a pin needs an item_id, a cap a category or none (each category), any other rule an item_id or a category'
            when 'rule_has_what_its_kind_needs' then 'a pin, and nothing else, has a place; a boost a factor; a cap at_most'
            when 'rule_ends_after_it_starts' then 'ends_at must lie after starts_at'
            when 'rule_records_kind_check' then 'kind must be block, expire, out_of_stock, pin, boost or cap'
            when 'rule_records_place_check' then 'place must be 1 to 1000'
            when 'rule_records_factor_check' then 'factor must be above 0 and at most 1000'
            when 'rule_records_at_most_check' then 'at_most must be 0 to 1000'
            else sqlerrm
        end;
end
$$;
comment on function add_rule is 'Add a rule, as a JSON object with the columns of rules; returns its rule_id. It is in force in the next answer';

create function remove_rule(rule bigint, by_whom text) returns boolean
language plpgsql security definer set search_path from current
as $$
begin
    update rule_records set removed_at = now(), removed_by = coalesce(by_whom, session_user) where rule_id = rule and removed_at is null;
    if not found and not exists (select from rule_records where rule_id = rule) then
        raise exception 'there is no rule % in %', rule, current_schema() using errcode = 'RJ064';
    end if;
    return found;
end
$$;
comment on function remove_rule is 'Undo a rule; false: it was removed already';

create function restore_rule(rule bigint, by_whom text) returns boolean
language plpgsql security definer set search_path from current
as $$
declare
    was_removed boolean;
begin
    update rule_records set removed_at = null, removed_by = null, author = coalesce(by_whom, author) where rule_id = rule and removed_at is not null;
    was_removed := found;
    if not was_removed and not exists (select from rule_records where rule_id = rule) then
        raise exception 'there is no rule % in %', rule, current_schema() using errcode = 'RJ064';
    end if;
    return was_removed;
end
$$;
comment on function restore_rule is 'Put a removed rule back; false: it was not removed';

create function try_rule(rule jsonb, among integer) returns jsonb
language plpgsql security definer set search_path from current
as $$
declare
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
    return result;
end
$$;
comment on function try_rule is 'What a rule would do if it were in force now: how many served lists it touches, how many fall short, and whose places among the first ten it gives to whom; looked at in about `among` lists. Changes nothing';

do $$
begin
    execute format('revoke all on all functions in schema %I from public', current_schema());
    execute format('grant usage on schema %I to recjobs_editor', current_schema());
end
$$;
grant select on served_lists, recommendations, popular_items, rules to recjobs_reader;
grant execute on function recommend(text, integer), apply_rules(text[], real[], text[], integer[], text, text, integer, boolean) to recjobs_reader;
grant select, insert (kind, item_id, category, segment, place, factor, at_most, starts_at, ends_at, author, note), update (ends_at, note, removed_at, removed_by)
on rules to recjobs_editor;
grant select on batches to recjobs_editor;
grant execute on function add_rule(jsonb), remove_rule(bigint, text), restore_rule(bigint, text), try_rule(jsonb, integer), roll_back(text, text) to recjobs_editor;
