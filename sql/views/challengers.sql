create or replace view challengers as
select study_id, tuned_at, as_of, data_cutoff, recipe, base_recipe, value, base_value, n_trials, state, decided_batch
from challenger_records;
comment on view challengers is 'A row is the best recipe of one study: waiting for a night, or what the gate said of it, and in which batch';
comment on column challengers.data_cutoff is 'The search has seen nothing from this instant on';
comment on column challengers.base_recipe is 'The catalog file''s recipe when the search began; once the file asks for another, the challenger is out of force';
comment on column challengers.value is 'Mean NDCG@20 over the folds of the search; base_value: that of base_recipe. Neither was measured on the gate''s holdout';
