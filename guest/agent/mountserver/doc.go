// Package mountserver serves what containers have mounted to the node, from a
// process of its own. It opens files for the node that may lie on shares of the
// node, which the agent carries. Were those open in the agent, each of its
// children would flush them when it closes what it must not inherit; that waits
// for the agent, which cannot run on before its child has (execve(2), vfork(2)).
//
// The agent starts the process when the first mount is shown, hands it one end
// of a socket for each stream, and copies between that and the stream.
//
//	node's FUSE ──▶ share server ──stream──▶ agent ──socket──▶ mount server ──▶ mount
package mountserver
