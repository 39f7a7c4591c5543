-- No row of use: a step of a night begins, or has ended.
select note_step(%(batch_id)s, %(step)s, %(state)s)
