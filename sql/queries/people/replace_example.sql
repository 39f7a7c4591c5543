-- No row: a finding gives another example.
update finding_records set example = %(text)s where batch_id = %(batch_id)s and reason = %(what)s and example = %(before)s
