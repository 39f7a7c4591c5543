-- No row of use: the model version is in charge.
select promote_model(%(model_version)s, %(reason)s)
