"""Networks that draw bone and lesions: plan, training, prediction, scores, export."""
