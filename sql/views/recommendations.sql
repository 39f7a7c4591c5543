create or replace view recommendations as
select
    s.user_id, r.rank::integer as rank, r.item_id, r.score, r.source,
    array_remove(array[s.reasons[r.because & 1023], s.reasons[(r.because >> 10) & 1023], s.reasons[r.because >> 20]], null) as because,
    s.batch_id
from served_lists as s
cross join lateral unnest(s.item_ids, s.scores, s.sources, s.because) with ordinality as r (item_id, score, source, because, rank);
comment on view recommendations is 'A row is one served item of one user';
comment on column recommendations.because is 'Up to three items of the user''s history that speak for it most';
