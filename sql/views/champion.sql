create or replace view champion as
select m.model_version, m.batch_id, m.uri, m.sha256, m.data_cutoff, m.recipe, c.since
from champion_model as c
join models as m using (model_version)
where c.slot = 'champion';
comment on view champion is 'The one row is the model in charge; no row: none yet';
