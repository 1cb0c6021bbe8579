// Package control is the door between an iokernel and the runtimes of its host: a SOCK_SEQPACKET
// unix socket on which a runtime asks to attach and is handed memory, event and socket descriptors.
//
//	runtime                                   iokernel
//	Dial ─────────────── connect ───────────> Server: who is it? (SO_PEERCRED, groups, pidfd)
//	Client.Attach ────── Hello ─────────────> Policy, then Handler.Attach
//	              <───── Grant + files ──────
//	Client.Certify ───── Certify ───────────> Certifier.Certify
//	              <───── Certified + file ───
//	Client.Neigh ─────── Neigh ─────────────> Handler.Neigh
//	              <───── NeighReply ─────────
//	Client.Threads ───── Threads ───────────> Handler.Threads
//	              <───── Done ───────────────
//	Client.Done  <────── Evicted, or end ──── Session.Evict, Server.Close, death
//	              ────── end of connection ─> Handler.Detach, exactly once
//
// The connection is the lease: it lasts as long as the runtime is attached, and whichever way it
// ends (close, crash, kill, eviction) the server calls Detach once. The server believes the kernel
// about who the peer is and its Policy about what that peer may have; a runtime only names itself.
// Whoever sends garbage, too much, nothing in time, or files, gets one Refusal and is cut off, and
// is counted.
//
// The package decides nothing about cores, frames or queues, and moves no packets. All of it is
// control plane: ordinary goroutines, none on a dataplane core. Files of a Grant belong to the
// Handler on the server's side; the client's are new and belong to whoever called Attach.
package control

import "time"

// Version of the messages. Both sides must have the same.
const Version = 1

// MaxMessageBytes bounds a message. (guess: a Cores of 256 cores is 60 KiB; a SEQPACKET message
// must fit into the socket's buffer, 208 KiB by default)
const MaxMessageBytes = 128 << 10

// MaxDecisions bounds the decisions of one Cores. (guess: a screen or two; each takes 200 bytes)
const MaxDecisions = 128

// MaxFiles bounds the files of one message. Origin: SCM_MAX_FD of the kernel.
const MaxFiles = 253

const (
	// silence is how long a connection may be open before its first message. Programs send theirs
	// at once; 2 s are for one that was stopped or swapped out right then. (guess)
	silence = 2 * time.Second
	// idle is how long a connection that is not attached may be quiet later. (guess)
	idle = time.Minute
	// sendWithin is how long a peer may leave our message unread with its buffer full. (guess)
	sendWithin = 2 * time.Second
	// answerWithin bounds a Handler's work on one request. A queue that the kernel still tears down
	// takes 17 ms, resolving a neighbour 3 s.
	answerWithin = 5 * time.Second
	// replyWithin is how long a client waits for an answer: longer than the server may take.
	replyWithin = 2 * answerWithin

	// The server pauses when it cannot accept because descriptors or memory have run out, from
	// minPause, doubling to maxPause: whoever has them may let go. (guess)
	minPause = 10 * time.Millisecond
	maxPause = time.Second

	// maxConns and maxConnsPerUID bound open connections, so that one user cannot shut the others
	// out. (guess: twice the runtimes of a configuration, with room for others)
	maxConns       = 256
	maxConnsPerUID = 128
)
