"""What every training shares: checkpoints, learning curves, schedules, several processes, when to stop."""
