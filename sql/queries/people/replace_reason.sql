-- No row: why a step stopped, in other words.
update step_records set reason = %(text)s where batch_id = %(batch_id)s and step = %(what)s
