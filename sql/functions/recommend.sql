create or replace function recommend(user_id text, n integer default 20)
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
        and not exists (select from stored_lists as s where s.user_id = recommend.user_id)
        and p.rank <= least(recommend.n, (select b.top_n_served from batches as b where b.is_live))
    order by 1
$$;
comment on function recommend is 'A user''s list, or the popular one for a user the batch does not know: what the HTTP API answers, item for item. No row: nothing is left for the user (the API says source exhausted), or nothing is published';
revoke all on function recommend from public;
