"""Networks that find bone and lesions: what they are, how they learn, what they draw, how good it is."""
