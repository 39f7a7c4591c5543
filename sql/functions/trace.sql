create or replace function trace(user_id text, item_id text)
returns table (
    answer text, rank integer, score real, source text, because text[], seen_at timestamptz, seen_before timestamptz,
    rule_id bigint, rule_kind text, note text, reason text, list_length integer, is_known_user boolean, batch_id text
)
language plpgsql stable security definer set search_path from current
as $$
#variable_conflict use_column
declare
    live batch_records;
    item item_records;
    list top_n;
    history history_lists;
    listed record;
begin
    select b.* into live from batch_records as b where b.batch_id = (select l.batch_id from live_batch as l where l.slot = 'live');
    if live.batch_id is null then
        return;
    end if;
    batch_id := live.batch_id;
    select t.* into list from top_n as t where t.batch_id = live.batch_id and t.user_id = trace.user_id;
    is_known_user := list.user_id is not null;
    if not is_known_user then
        select p.item_ids, p.scores, 'popular', 0, 0 into list.item_ids, list.scores, list.source, list.n_model, list.n_category
        from popular_lists as p
        where p.batch_id = live.batch_id and p.segment = 'all';
    end if;
    list_length := coalesce(cardinality(list.item_ids), 0);

    if is_known_user then
        select r.rank, r.score, r.source, r.because into listed
        from recommendations as r where r.user_id = trace.user_id and r.item_id = trace.item_id;
    else
        select p.rank, p.score, p.source, null::text[] as because into listed
        from popular_items as p where p.segment = 'all' and p.item_id = trace.item_id and p.rank <= live.top_n_served;
    end if;
    if found then
        answer := 'listed';
        rank := listed.rank;
        score := listed.score;
        source := listed.source;
        because := listed.because;
        return next;
        return;
    end if;

    select i.* into item from item_records as i where i.batch_id = live.batch_id and i.item_id = trace.item_id;
    if not found then
        answer := 'unknown_item';
        return next;
        return;
    end if;

    if is_known_user then
        select h.* into history from history_lists as h where h.batch_id = live.batch_id and h.user_id = trace.user_id;
        -- a batch from before the rules only has the latest of what its users have seen
        if item.item_idx = any(history.seen)
            or item.item_idx is null and trace.item_id = any(history.item_ids) and trace.item_id <> all(list.item_ids) then
            answer := 'seen';
            seen_at := history.occurred_at[array_position(history.item_ids, trace.item_id)];
            seen_before := case when seen_at is null then history.occurred_at[cardinality(history.occurred_at)] end;
            return next;
            return;
        end if;
    end if;

    select r.rule_id, r.kind into rule_id, rule_kind
    from rules_about(array[trace.item_id], list.segment) as r
    where r.hides
    order by r.rule_id
    limit 1;
    if rule_id is null and trace.item_id = any(list.item_ids) then
        -- Longer than any pins can make it: what is not in it then was taken out, and only caps are left to have done it.
        select a.at into rank
        from apply_rules(
            list.item_ids, list.scores, array_fill('popular'::text, array[list_length]), null,
            case when is_known_user then trace.user_id end, list.segment, list_length + 1000, false
        ) as o
        cross join lateral unnest(o.item_ids) with ordinality as a (item_id, at)
        where a.item_id = trace.item_id;
        if rank is null then
            select r.rule_id, r.kind into rule_id, rule_kind
            from rules_about(array[trace.item_id], list.segment) as r
            where r.kind = 'cap'
            order by r.at_most, r.rule_id
            limit 1;
        end if;
    end if;
    if rule_id is not null then
        answer := 'blocked';
        select r.note into note from rule_records as r where r.rule_id = trace.rule_id;
    elsif not item.available then
        answer := 'ineligible';
        reason := 'not available';
    else
        answer := 'below';
        score := list.scores[array_position(list.item_ids, trace.item_id)];
    end if;
    return next;
end
$$;
comment on function trace is 'Why an item is in a user''s list or not, in one row, whose answer is the first that holds of: listed (at rank, with score, source and because), unknown_item, seen (at seen_at, or before seen_before), blocked (by rule_id, with its note), ineligible (for reason), below (at rank by the rules in force; null: behind the stored list_length). A user the batch does not know has the popular list';
revoke all on function trace from public;
