create or replace view kept_recommendations as
select
    t.batch_id, t.user_id, r.rank::integer as rank, r.item_id, r.score,
    case when r.rank <= t.n_model then t.source when r.rank <= t.n_model + t.n_category then 'category' else 'popular' end as source
from batch_records as b
join top_n as t on t.batch_id = b.batch_id
cross join lateral unnest(t.item_ids, t.scores) with ordinality as r (item_id, score, rank)
where b.pruned_at is null and r.rank <= b.top_n_served;
comment on view kept_recommendations is 'A row is one item of one user''s list in a batch that is kept, as its night made it, before rules; name a batch_id: there may be many';
