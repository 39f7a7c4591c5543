create or replace function together(item_id text, n integer default 20)
returns table (rank integer, item_id text, score real, batch_id text)
language sql stable set search_path from current
as $$
    select t.rank, t.together_item_id, t.score, t.batch_id
    from together_items as t
    where t.item_id = together.item_id and t.rank <= least(together.n, (select b.top_n_served from batches as b where b.is_live))
    order by 1
$$;
comment on function together is 'What is bought together with an item: what the HTTP API answers, item for item. No row: too few orders say so, or the live batch has no such item';
revoke all on function together from public;
