"""What is sought: objectives, constraints, budget; the trial as its unit; and the whole as a pymoo Problem."""
