create or replace function again(user_id text, n integer default 20)
returns table (rank integer, item_id text, score real, batch_id text)
language sql stable set search_path from current
as $$
    select a.rank, a.item_id, a.score, a.batch_id
    from again_items as a
    where a.user_id = again.user_id and a.rank <= least(again.n, (select b.top_n_served from batches as b where b.is_live))
    order by 1
$$;
comment on function again is 'What a user is likely to need again now: what the HTTP API answers, item for item. No row: nothing was taken twice, or the live batch does not know the user';
revoke all on function again from public;
