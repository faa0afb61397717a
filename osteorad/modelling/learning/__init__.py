"""Everything that learns, from training rows only: steps, models, the nested loop, and the records that they leave."""
