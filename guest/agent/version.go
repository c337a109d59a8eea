package agent

// Version is the agent's; the build sets it with -X.
var Version = "dev"
