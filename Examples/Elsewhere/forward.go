// Forwards one connection, both ways.
package main

import (
	"io"
	"net"
	"os"
	"sync"
)

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Args[1])
	if err != nil {
		panic(err)
	}
	client, err := listener.Accept()
	if err != nil {
		panic(err)
	}
	server, err := net.Dial("tcp", os.Args[2]+":"+os.Args[3])
	if err != nil {
		panic(err)
	}
	var both sync.WaitGroup
	both.Add(2)
	forward := func(to, from net.Conn) {
		io.Copy(to, from)
		to.(*net.TCPConn).CloseWrite()
		both.Done()
	}
	go forward(server, client)
	go forward(client, server)
	both.Wait()
}
