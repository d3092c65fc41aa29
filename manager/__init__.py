"""The aggregator's manager: stores every half hour once, decides permission, dispatches, serves."""
