package main

import (
	"context"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// A unary method that takes bytes and returns them, without encryption: the least that gRPC does.
const (
	grpcService = "dunlin.bench.Echo"
	grpcMethod  = "/" + grpcService + "/Call"
	callTimeout = 5 * time.Second
)

func serveGRPC(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	s := grpc.NewServer()
	s.RegisterService(&grpc.ServiceDesc{
		ServiceName: grpcService, HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{
			MethodName: "Call",
			Handler: func(_ any, _ context.Context, decode func(any) error,
				_ grpc.UnaryServerInterceptor,
			) (any, error) {
				in := new(wrapperspb.BytesValue)
				if err := decode(in); err != nil {
					return nil, err
				}
				return in, nil
			},
		}},
	}, struct{}{})
	return s.Serve(listener)
}

type grpcCaller struct{ conn *grpc.ClientConn }

func dialGRPC(address string) (caller, error) {
	conn, err := grpc.NewClient("passthrough:///"+address,
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	return grpcCaller{conn}, err
}

func (c grpcCaller) call(data []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	out := new(wrapperspb.BytesValue)
	err := c.conn.Invoke(ctx, grpcMethod, wrapperspb.Bytes(data), out, grpc.WaitForReady(true))
	return out.Value, err
}
