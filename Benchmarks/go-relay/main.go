// A relay as one writes it in Go: two goroutines a connection, io.Copy (which splices from socket to socket by
// itself), half-closes passed on.
package main

import (
	"io"
	"net"
	"os"
)

func pass(to, from *net.TCPConn, done chan struct{}) {
	io.Copy(to, from)
	to.CloseWrite()
	done <- struct{}{}
}

func serve(client *net.TCPConn, upstream string) {
	defer client.Close()
	dialled, err := net.Dial("tcp", upstream)
	if err != nil {
		return
	}
	server := dialled.(*net.TCPConn)
	defer server.Close()
	done := make(chan struct{}, 2)
	go pass(server, client, done)
	go pass(client, server, done)
	<-done
	<-done
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Args[1])
	if err != nil {
		panic(err)
	}
	for {
		client, err := listener.Accept()
		if err == nil {
			go serve(client.(*net.TCPConn), "127.0.0.1:"+os.Args[2])
		}
	}
}
