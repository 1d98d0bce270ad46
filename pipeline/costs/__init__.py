"""What jobs have to do, what that costs, and how long a run takes."""
