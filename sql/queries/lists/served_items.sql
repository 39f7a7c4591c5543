-- A row is one item of a user's served list, among its first n, with what the batch knows of the item; by user and rank.
select
    s.user_id, r.rank::integer as rank, r.item_id, i.title, r.score, r.source, s.batch_id, i.url, i.image, i.price
from served_lists as s
cross join lateral (select coalesce(%(n)s, s.top_n_served) as n) as first
cross join lateral unnest(s.item_ids[1:first.n], s.scores[1:first.n], s.sources[1:first.n])
    with ordinality as r (item_id, score, source, rank)
left join items as i on i.item_id = r.item_id
order by s.user_id, r.rank
