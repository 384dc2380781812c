"""STS, Organizations and two accounts with unmodified boto3. Run by identity-python.test.ts.

OTHER_ACCOUNT, OTHER_KEY_ID and OTHER_SECRET: a second account and its root's access key.
"""

import json
import os
import time
import urllib.request

from checks import as_user, check, client, policy, refused, report, trust

OTHER = os.environ["OTHER_ACCOUNT"]
OTHER_ROOT = {"AccessKeyId": os.environ["OTHER_KEY_ID"], "SecretAccessKey": os.environ["OTHER_SECRET"]}


def user_with(iam, name, *statements):
    iam.create_user(UserName=name)
    if statements:
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=policy(*statements))
    return iam.create_access_key(UserName=name)["AccessKey"]


def sessions(iam, account):
    key = user_with(iam, "caller", {"Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity", "sts:GetFederationToken", "kms:ListKeys", "kms:ListAliases"]})
    sts = as_user("sts", key)
    role = iam.create_role(RoleName="worker", AssumeRolePolicyDocument=trust({"AWS": f"arn:aws:iam::{account}:user/caller"}, Action=["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]))["Role"]
    arn = role["Arn"]
    iam.put_role_policy(RoleName="worker", PolicyName="p", PolicyDocument=policy({"Action": ["kms:ListKeys", "kms:ListAliases", "sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]}))
    got = sts.assume_role(RoleArn=arn, RoleSessionName="s1", DurationSeconds=900, SourceIdentity="source", Tags=[{"Key": "team", "Value": "a"}], TransitiveTagKeys=["team"])
    session = got["Credentials"]
    check(session["AccessKeyId"].startswith("ASIA"), True)
    check(len(session["SessionToken"]) <= 8192, True)
    check((got["AssumedRoleUser"]["Arn"], got["SourceIdentity"]), (f"arn:aws:sts::{account}:assumed-role/worker/s1", "source"))
    check(got["AssumedRoleUser"]["AssumedRoleId"], f"{role['RoleId']}:s1")
    me = as_user("sts", session).get_caller_identity()
    check((me["Arn"], me["UserId"], me["Account"]), (got["AssumedRoleUser"]["Arn"], got["AssumedRoleUser"]["AssumedRoleId"], account))
    # What boto3 presigns for a query service is a POST without a body.
    url = as_user("sts", session).generate_presigned_url("get_caller_identity")
    with urllib.request.urlopen(urllib.request.Request(url, method="POST")) as answer:
        check(me["Arn"].encode() in answer.read(), True)
    as_user("kms", session).list_keys()
    refused("AccessDeniedException", as_user("kms", session).create_key)
    limited = sts.assume_role(RoleArn=arn, RoleSessionName="s2", Policy=policy({"Action": "kms:ListAliases"}))["Credentials"]
    as_user("kms", limited).list_aliases()
    message = refused("AccessDeniedException", as_user("kms", limited).list_keys)
    check("because no session policy allows the kms:ListKeys action" in message, True)
    refused("UnrecognizedClientException", as_user("kms", {**session, "SessionToken": limited["SessionToken"]}).list_keys)
    refused("ValidationError", sts.assume_role, RoleArn=arn, RoleSessionName="s", DurationSeconds=100)
    refused("ValidationError", sts.assume_role, RoleArn=arn, RoleSessionName="s", DurationSeconds=7200)
    refused("AccessDenied", sts.assume_role, RoleArn=f"arn:aws:iam::{account}:role/absent", RoleSessionName="sess")
    refused("AccessDenied", client("sts").assume_role, RoleArn=arn, RoleSessionName="sess")
    refused("MalformedPolicyDocument", sts.assume_role, RoleArn=arn, RoleSessionName="sess", Policy="{}")
    refused("PackedPolicyTooLarge", sts.assume_role, RoleArn=arn, RoleSessionName="sess", Policy=json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "kms:ListKeys", "Resource": [os.urandom(40).hex() for _ in range(24)]}]}), Tags=[{"Key": os.urandom(60).hex(), "Value": os.urandom(120).hex()} for _ in range(50)])
    other_user = user_with(iam, "bystander", {"Action": "sts:AssumeRole"})
    refused("AccessDenied", as_user("sts", other_user).assume_role, RoleArn=arn, RoleSessionName="sess")
    outside = iam.create_role(RoleName="outside", AssumeRolePolicyDocument=trust({"AWS": arn}, Action=["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"], Condition={"StringEquals": {"sts:ExternalId": "secret"}}))["Role"]["Arn"]
    chained = as_user("sts", session)
    refused("AccessDenied", chained.assume_role, RoleArn=outside, RoleSessionName="sess")
    refused("ValidationError", chained.assume_role, RoleArn=outside, RoleSessionName="sess", ExternalId="secret", DurationSeconds=3601)
    chained.assume_role(RoleArn=outside, RoleSessionName="sess", ExternalId="secret", DurationSeconds=3600)
    token = sts.get_session_token(DurationSeconds=900)["Credentials"]
    check(as_user("sts", token).get_caller_identity()["Arn"], f"arn:aws:iam::{account}:user/caller")
    as_user("kms", token).list_keys()
    refused("InvalidClientTokenId", as_user("iam", token).list_users)
    refused("AccessDenied", as_user("sts", token).get_session_token)
    federated = sts.get_federation_token(Name="fed", Policy=policy({"Action": "kms:ListKeys"}), DurationSeconds=900)
    check(federated["FederatedUser"]["Arn"], f"arn:aws:sts::{account}:federated-user/fed")
    as_user("kms", federated["Credentials"]).list_keys()
    refused("AccessDeniedException", as_user("kms", federated["Credentials"]).list_aliases)
    check(client("sts").get_access_key_info(AccessKeyId=key["AccessKeyId"])["Account"], account)
    # Revoked by issue time.
    cutoff = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2))
    iam.put_role_policy(RoleName="worker", PolicyName="revoke", PolicyDocument=policy({"Effect": "Deny", "Action": "*", "Condition": {"DateLessThan": {"aws:TokenIssueTime": cutoff}}}))
    refused("AccessDeniedException", as_user("kms", session).list_keys)
    time.sleep(2.1)
    fresh = sts.assume_role(RoleArn=arn, RoleSessionName="s3")["Credentials"]
    as_user("kms", fresh).list_keys()
    # The role deleted and made again is another.
    for name in ["p", "revoke"]:
        iam.delete_role_policy(RoleName="worker", PolicyName=name)
    iam.delete_role(RoleName="worker")
    refused("UnrecognizedClientException", as_user("kms", fresh).list_keys)
    refused("InvalidClientTokenId", as_user("sts", fresh).get_caller_identity)
    refused("InvalidIdentityToken", client("sts").assume_role_with_web_identity, RoleArn=outside, RoleSessionName="web", WebIdentityToken="a.b.c")


def denials(iam):
    key = user_with(iam, "denied")
    try:
        as_user("kms", key).create_key()
    except Exception as error:
        request_id = error.response["ResponseMetadata"]["RequestId"]
    decoded = json.loads(client("sts").decode_authorization_message(EncodedMessage=request_id)["DecodedMessage"])
    check((decoded["allowed"], decoded["explicitDeny"], decoded["context"]["action"]), (False, False, "kms:CreateKey"))
    refused("InvalidAuthorizationMessageException", client("sts").decode_authorization_message, EncodedMessage="nonsense")
    refused("AccessDenied", as_user("sts", key).decode_authorization_message, EncodedMessage=request_id)
    refused("InvalidAuthorizationMessageException", as_user("sts", OTHER_ROOT).decode_authorization_message, EncodedMessage=request_id)


def two_accounts(account):
    """The key's policy and the other account's own must both allow."""
    kms = client("kms")
    other_iam = as_user("iam", OTHER_ROOT)
    guest = user_with(other_iam, "guest")
    arn = f"arn:aws:iam::{OTHER}:user/guest"
    key = kms.create_key()["KeyMetadata"]["Arn"]
    own = {"Sid": "own", "Principal": {"AWS": f"arn:aws:iam::{account}:root"}, "Action": "kms:*"}
    share = {"Sid": "share", "Principal": {"AWS": arn}, "Action": ["kms:Encrypt", "kms:Decrypt"]}
    guest_kms = as_user("kms", guest)

    def put(*statements):
        kms.put_key_policy(KeyId=key, PolicyName="default", Policy=policy(*statements))

    def attempt():
        return guest_kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]

    refused("AccessDeniedException", attempt)
    put(own, share)
    message = refused("AccessDeniedException", attempt)
    check("because no identity-based policy allows the kms:Encrypt action" in message, True)
    other_iam.put_user_policy(UserName="guest", PolicyName="p", PolicyDocument=policy({"Action": "kms:*"}))
    blob = attempt()
    check(guest_kms.decrypt(CiphertextBlob=blob)["Plaintext"], b"x")
    put(own)
    message = refused("AccessDeniedException", attempt)
    check("because no resource-based policy allows the kms:Encrypt action" in message, True)
    put(own, {**share, "Principal": {"AWS": OTHER}})
    attempt()
    other_iam.delete_user_policy(UserName="guest", PolicyName="p")
    refused("AccessDeniedException", attempt)
    refused("MalformedPolicyDocumentException", kms.put_key_policy, KeyId=key, PolicyName="default", Policy=policy(own, {**share, "Principal": {"AWS": f"arn:aws:iam::{OTHER}:user/nobody"}}))
    # Across accounts, through a role.
    role = client("iam").create_role(RoleName="shared", AssumeRolePolicyDocument=trust({"AWS": arn}))["Role"]["Arn"]
    sts = as_user("sts", guest)
    refused("AccessDenied", sts.assume_role, RoleArn=role, RoleSessionName="from-b")
    other_iam.put_user_policy(UserName="guest", PolicyName="p", PolicyDocument=policy({"Action": "sts:AssumeRole", "Resource": role}))
    check(sts.assume_role(RoleArn=role, RoleSessionName="from-b")["AssumedRoleUser"]["Arn"], f"arn:aws:sts::{account}:assumed-role/shared/from-b")


def organization(account):
    org = client("organizations")
    about = org.describe_organization()["Organization"]
    check((about["MasterAccountId"], about["FeatureSet"]), (account, "ALL"))
    refused("AlreadyInOrganizationException", org.create_organization)
    root = org.list_roots()["Roots"][0]["Id"]
    made = org.create_account(Email="third@example.com", AccountName="third")["CreateAccountStatus"]
    for _ in range(100):
        status = org.describe_create_account_status(CreateAccountRequestId=made["Id"])["CreateAccountStatus"]
        if status["State"] == "SUCCEEDED":
            break
        time.sleep(0.1)
    third = status["AccountId"]
    check(made["Id"] in [s["Id"] for s in org.list_create_account_status()["CreateAccountStatuses"]], True)
    check(org.describe_account(AccountId=third)["Account"]["Name"], "third")
    listed = [a["Id"] for page in org.get_paginator("list_accounts").paginate() for a in page["Accounts"]]
    check(set(listed) >= {account, OTHER, third}, True)
    refused("AccountNotFoundException", org.describe_account, AccountId="999999999999")
    # Its administrator's role, as AWS makes it.
    iam = client("iam")
    admin = user_with(iam, "orgadmin", {"Action": "sts:AssumeRole"})
    session = as_user("sts", admin).assume_role(RoleArn=f"arn:aws:iam::{third}:role/OrganizationAccountAccessRole", RoleSessionName="admin")["Credentials"]
    as_user("kms", session).list_keys()
    unit = org.create_organizational_unit(ParentId=root, Name="unit")["OrganizationalUnit"]["Id"]
    refused("DuplicateOrganizationalUnitException", org.create_organizational_unit, ParentId=root, Name="unit")
    org.update_organizational_unit(OrganizationalUnitId=unit, Name="renamed")
    check(org.describe_organizational_unit(OrganizationalUnitId=unit)["OrganizationalUnit"]["Name"], "renamed")
    check([u["Id"] for u in org.list_organizational_units_for_parent(ParentId=root)["OrganizationalUnits"]], [unit])
    org.move_account(AccountId=third, SourceParentId=root, DestinationParentId=unit)
    check(org.list_parents(ChildId=third)["Parents"][0]["Id"], unit)
    check([c["Id"] for c in org.list_children(ParentId=unit, ChildType="ACCOUNT")["Children"]], [third])
    check([a["Id"] for a in org.list_accounts_for_parent(ParentId=unit)["Accounts"]], [third])
    deny = policy({"Effect": "Deny", "Action": "kms:ListKeys"})
    scp = org.create_policy(Name="no-keys", Description="d", Type="SERVICE_CONTROL_POLICY", Content=deny)["Policy"]["PolicySummary"]["Id"]
    refused("MalformedPolicyDocumentException", org.create_policy, Name="bad", Description="d", Type="SERVICE_CONTROL_POLICY", Content="{}")
    org.attach_policy(PolicyId=scp, TargetId=unit)
    refused("DuplicatePolicyAttachmentException", org.attach_policy, PolicyId=scp, TargetId=unit)
    message = refused("AccessDeniedException", as_user("kms", session).list_keys)
    check("with an explicit deny in a service control policy" in message, True)
    check([t["TargetId"] for t in org.list_targets_for_policy(PolicyId=scp)["Targets"]], [unit])
    check(scp in [p["Id"] for p in org.list_policies_for_target(TargetId=unit, Filter="SERVICE_CONTROL_POLICY")["Policies"]], True)
    org.update_policy(PolicyId=scp, Name="changed", Content=policy({"Effect": "Deny", "Action": "kms:ListAliases"}))
    as_user("kms", session).list_keys()
    check(org.describe_policy(PolicyId=scp)["Policy"]["PolicySummary"]["Name"], "changed")
    check(scp in [p["Id"] for p in org.list_policies(Filter="SERVICE_CONTROL_POLICY")["Policies"]], True)
    refused("PolicyInUseException", org.delete_policy, PolicyId=scp)
    org.detach_policy(PolicyId=scp, TargetId=unit)
    org.delete_policy(PolicyId=scp)
    org.tag_resource(ResourceId=third, Tags=[{"Key": "a", "Value": "1"}])
    check(org.list_tags_for_resource(ResourceId=third)["Tags"], [{"Key": "a", "Value": "1"}])
    org.untag_resource(ResourceId=third, TagKeys=["a"])
    refused("OrganizationalUnitNotEmptyException", org.delete_organizational_unit, OrganizationalUnitId=unit)
    org.move_account(AccountId=third, SourceParentId=unit, DestinationParentId=root)
    org.delete_organizational_unit(OrganizationalUnitId=unit)
    refused("AccessDeniedException", as_user("organizations", OTHER_ROOT).list_accounts)
    check(as_user("organizations", OTHER_ROOT).describe_organization()["Organization"]["MasterAccountId"], account)
    org.close_account(AccountId=third)
    check(org.describe_account(AccountId=third)["Account"]["Status"] in ("PENDING_CLOSURE", "SUSPENDED"), True)


def main():
    iam = client("iam")
    account = client("sts").get_caller_identity()["Account"]
    sessions(iam, account)
    denials(iam)
    two_accounts(account)
    organization(account)
    report()


main()
