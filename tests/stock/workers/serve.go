package main

import "github.com/livekit/psrpc"

func serve(bus psrpc.MessageBus) {}
