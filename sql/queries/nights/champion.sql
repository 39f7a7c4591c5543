-- The one row is the model in charge; no row: none yet.
select model_version, batch_id, uri, sha256, data_cutoff, recipe from champion
