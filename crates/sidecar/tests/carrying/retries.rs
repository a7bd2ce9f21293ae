//! A request that was lost with a kept connection goes once more if that does no harm.

use countersign_testing::replies::request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::vendor::Vendor;
use crate::world::{Plan, outcome};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

#[tokio::test]
async fn a_vendor_that_closes_as_the_next_request_comes_loses_no_get_and_gets_no_post_twice() {
    let vendor = Vendor::acting(|_, mut stream| async move {
        stream.write_all(OK).await.unwrap();
        let _ = stream.read_u8().await;
    });
    let plan = Plan {
        upstream: Some(vendor.url.clone()),
        ..Plan::default()
    };
    let world = plan.open().await;
    for round in 0..30 {
        assert_eq!(outcome(&world.get("/x").await), (200, ""), "{round}");
    }
    let mut lost = 0;
    for round in 0..30 {
        assert_eq!(outcome(&world.get("/x").await), (200, ""), "{round}");
        let posted = world.send(request("POST", "/x", &[], "")).await;
        match outcome(&posted) {
            (200, "") => {}
            (502, "unreachable") => lost += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(lost > 0, "no connection was kept");
}
