-- No row of use: the challenger follows the night's verdict.
select decide_challenger(%(study_id)s, %(batch_id)s, %(verdict)s, %(contested)s)
