-- No row of use: the model version is noted, with the hash its file must have.
select register_model(%(model_version)s, %(batch_id)s, %(uri)s, %(sha256)s, %(data_cutoff)s, %(recipe)s::jsonb)
