"""Results: samples of calls, records of runs, results of scenarios, and the folder that holds them."""
