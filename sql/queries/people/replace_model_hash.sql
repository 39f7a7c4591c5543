-- A row is one registered model whose file was rewritten.
update models set sha256 = %(new)s where sha256 = %(old)s returning model_version
