-- A row is one challenger, newest first; none that has seen what a night as of %(as_of)s must not know.
select study_id, tuned_at, as_of, data_cutoff, recipe, base_recipe, value, base_value, n_trials, state, decided_batch
from challengers
where as_of <= %(as_of)s
order by as_of desc, tuned_at desc
limit 50
