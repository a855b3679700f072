// Workers played with LiveKit's own psrpc library and generated messages:
//
//	workers set-up SERVER KEY SECRET   makes ingress, trunks and rules through a server's public API
//	workers ask REDIS                  puts a worker's questions to whichever node answers IOInfo; one JSON line each
//	workers serve REDIS                is an egress, ingress, SIP and agent worker, and a node for WHIP, until its input ends
package main

import (
	"bufio"
	"fmt"
	"os"

	"github.com/livekit/psrpc"
	"github.com/redis/go-redis/v9"
)

func main() {
	if len(os.Args) < 3 {
		fail(fmt.Errorf("usage: workers set-up|ask|serve ADDRESS ..."))
	}
	switch os.Args[1] {
	case "set-up":
		setUp(os.Args[2], os.Args[3], os.Args[4])
	case "ask":
		ask(bus(os.Args[2]))
	case "serve":
		serve(bus(os.Args[2]))
		fmt.Println("ready")
		bufio.NewScanner(os.Stdin).Scan()
	}
}

func bus(address string) psrpc.MessageBus {
	return psrpc.NewRedisMessageBus(redis.NewClient(&redis.Options{Addr: address}))
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
